//! What is computed twice: once without a record, once for its gradients.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

/// A piece of a network that can be computed again.
pub(super) trait Replay: Send + Sync {
    /// The output for tokens without autodiff.
    fn forward(&self, tokens: Tensor<3>) -> Tensor<3>;

    /// The gradients of the tokens, and of all parameters in the order of [`flattened`], from the
    /// gradient of the output. No autodiff is involved.
    fn backward(&self, tokens: Tensor<3>, gradient: Tensor<3>) -> (Tensor<3>, Tensor<1>);
}

/// A block without autodiff, and how it is computed.
pub(super) struct Segment<M, F> {
    pub(super) block: M,
    pub(super) bias: Option<Tensor<4>>,
    pub(super) forward: F,
}

impl<M, F> Replay for Segment<M, F>
where
    M: Module + Sync,
    F: Fn(&M, Tensor<3>, Option<Tensor<4>>) -> Tensor<3> + Send + Sync,
{
    /// With autodiff, though nothing is tracked: some operations round otherwise without.
    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let bias = self.bias.clone().map(Tensor::autodiff);
        (self.forward)(&self.block, tokens.autodiff(), bias).inner()
    }

    fn backward(&self, tokens: Tensor<3>, gradient: Tensor<3>) -> (Tensor<3>, Tensor<1>) {
        let block = self.block.clone().map(&mut Leaves);
        let tokens = tokens.autodiff().require_grad();
        let bias = self.bias.clone().map(|bias| bias.autodiff().require_grad());
        let output = (self.forward)(&block, tokens.clone(), bias.clone());
        let gradients = (output * gradient.autodiff()).sum().backward();
        let mut found = Found { gradients: &gradients, flat: Vec::new() };
        block.visit(&mut found);
        if let Some(bias) = &bias {
            found.push(bias);
        }
        (gradient_of(&tokens, &gradients), Tensor::cat(found.flat, 0))
    }
}

/// All values of a block's parameters, and of the bias, one after the other: what stands for them
/// in the graph of the step.
pub(super) fn flattened<M: Module>(block: &M, bias: &Option<Tensor<4>>) -> Tensor<1> {
    let mut parameters = Flat::default();
    block.visit(&mut parameters);
    parameters.0.extend(bias.clone().map(|bias| bias.flatten(0, 3)));
    Tensor::cat(parameters.0, 0)
}

#[derive(Default)]
struct Flat(Vec<Tensor<1>>);

impl ModuleVisitor for Flat {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().flatten(0, D - 1));
    }
}

/// Makes every parameter the leaf of a graph of its own.
struct Leaves;

impl ModuleMapper for Leaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| value.inner().autodiff().require_grad())
    }
}

struct Found<'a> {
    gradients: &'a Gradients,
    flat: Vec<Tensor<1>>,
}

impl Found<'_> {
    fn push<const D: usize>(&mut self, value: &Tensor<D>) {
        self.flat.push(gradient_of(value, self.gradients).flatten(0, D - 1));
    }
}

impl ModuleVisitor for Found<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.push(&param.val());
    }
}

/// The gradient of a leaf; zeros where the output does not depend on it.
fn gradient_of<const D: usize>(leaf: &Tensor<D>, gradients: &Gradients) -> Tensor<D> {
    leaf.grad(gradients).unwrap_or_else(|| leaf.clone().inner().zeros_like())
}
