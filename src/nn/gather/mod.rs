//! Rows of a tensor in another order, with a backward pass that gathers too.

#[cfg(feature = "extension")]
mod record;

use burn::tensor::{Int, Tensor};

/// Where every row of a tensor goes, and where each row of what comes out was.
///
/// Every row goes to one place at most. So the gradient of a row is that of its place, or nothing, and
/// is selected by the inverse order. burn adds it to zeros at its row instead: on a GPU that takes as
/// many threads as there are features, each of which walks through all rows, in 0.22.1, and later
/// versions add in any order, so that the bits differ from run to run.
#[derive(Debug, Clone)]
pub(crate) struct Gather {
    rows: Order,
    places: Order,
}

/// For every one of some things which of others it is.
#[derive(Debug, Clone)]
struct Order {
    /// The number of the others stands for none.
    indices: Tensor<1, Int>,
    /// Whether any is none of them.
    has_none: bool,
}

impl Gather {
    /// For every place its row, or the number of rows where the filler is put; for every row its place,
    /// or the number of places where it has none; and how many rows have a place.
    pub(crate) fn new(rows: Tensor<1, Int>, places: Tensor<1, Int>, moved: usize) -> Self {
        let order =
            |indices: Tensor<1, Int>| Order { has_none: indices.dims() != [moved], indices };
        Self { rows: order(rows), places: order(places) }
    }

    /// For every place its row.
    pub(crate) fn rows(&self) -> Tensor<1, Int> {
        self.rows.indices.clone()
    }

    /// For every row its place.
    pub(crate) fn places(&self) -> Tensor<1, Int> {
        self.places.indices.clone()
    }

    /// What undoes it.
    pub(crate) fn inverse(&self) -> Self {
        Self { rows: self.places.clone(), places: self.rows.clone() }
    }

    /// The rows at their places, and `filler` where no row is.
    ///
    /// # Shapes
    ///
    /// - rows: `[rows, width]`
    /// - filler: `[1, width]`
    /// - output: `[places, width]`
    pub(crate) fn fill(&self, rows: Tensor<2>, filler: Tensor<2>) -> Tensor<2> {
        #[cfg(feature = "extension")]
        if (rows.device().is_autodiff() || filler.device().is_autodiff())
            && let Some(output) = self.record(&rows, &filler)
        {
            return output;
        }
        self.forward(rows, filler)
    }

    /// The rows at their places, and zeros where no row is.
    pub(crate) fn select(&self, rows: Tensor<2>) -> Tensor<2> {
        let zeros = zeros(&rows);
        self.fill(rows, zeros)
    }

    fn forward(&self, rows: Tensor<2>, filler: Tensor<2>) -> Tensor<2> {
        let rows = match self.rows.has_none {
            true => Tensor::cat(vec![rows, filler], 0),
            false => rows,
        };
        rows.select(0, self.rows())
    }

    /// The gradient of the rows.
    #[cfg(feature = "extension")]
    fn of_rows(&self, gradient: Tensor<2>) -> Tensor<2> {
        let zeros = zeros(&gradient);
        self.inverse().forward(gradient, zeros)
    }

    /// The gradient of the filler.
    #[cfg(feature = "extension")]
    fn of_filler(&self, gradient: Tensor<2>) -> Tensor<2> {
        if !self.rows.has_none {
            return zeros(&gradient);
        }
        let [count] = self.places().dims();
        let [places, width] = gradient.dims();
        let is_row = self.rows().not_equal_elem(count as i64).reshape([places, 1]);
        gradient.mask_fill(is_row.expand([places, width]), 0.0).sum_dim(0)
    }
}

/// One row of zeros that fits below `rows`.
fn zeros(rows: &Tensor<2>) -> Tensor<2> {
    let [_, width] = rows.dims();
    Tensor::zeros([1, width], (&rows.device(), rows.dtype()))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::test_device;

    /// Places 0 to 3 of rows 2, none, 0 and none; row 1 has no place.
    fn gather(device: &Device) -> Gather {
        let device = device.clone().without_autodiff();
        let ints = |values: &[i64]| Tensor::<1, Int>::from_data(values, &device);
        Gather::new(ints(&[2, 3, 0, 3]), ints(&[2, 4, 0]), 2)
    }

    #[test]
    fn values_and_gradients_are_those_of_burns_select() {
        let device = test_device().autodiff();
        for device in [device.clone(), device.gradient_checkpointing()] {
            let rows = Tensor::<2>::from_floats([[1., 2.], [3., 4.], [5., 6.]], &device);
            let filler = Tensor::<2>::from_floats([[7., 8.]], &device);
            let weights =
                Tensor::<2>::from_floats([[0.5, 1.5], [-2., 3.], [4., 0.25], [8., -1.]], &device);
            let gather = gather(&device);
            let run = |output: &dyn Fn(Tensor<2>, Tensor<2>) -> Tensor<2>| {
                let (rows, filler) = (rows.clone().require_grad(), filler.clone().require_grad());
                let output = output(rows.clone(), filler.clone());
                let gradients = (output.clone() * weights.clone()).sum().backward();
                let of = |tensor: Tensor<2>| tensor.grad(&gradients).unwrap().into_data();
                [output.into_data(), of(rows), of(filler)]
            };
            let ours = run(&|rows, filler| gather.fill(rows, filler));
            let stock = run(&|rows, filler| gather.forward(rows, filler));
            assert_eq!(ours, stock);
        }
    }

    #[test]
    fn without_a_graph_rows_and_zeros_are_at_their_places() {
        let device = test_device().without_autodiff();
        let rows = Tensor::<2>::from_floats([[1.], [3.], [5.]], &device);
        let gather = gather(&device);
        let values = |tensor: Tensor<2>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
        let placed = gather.select(rows);
        assert_eq!(values(placed.clone()), [5., 0., 1., 0.]);
        assert_eq!(values(gather.inverse().select(placed)), [1., 0., 5.]);
    }
}
