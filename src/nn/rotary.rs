//! Rotary positions in two dimensions: queries and keys turned by where their cells are.

use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData, s};

use crate::grid::Grid;

/// The sines and cosines that each token's queries and keys are turned by.
///
/// The formula is DINOv3's (arXiv 2508.10104, and timm's `RotaryEmbeddingDinoV3`). The center of a
/// cell is at y, x in [−1, 1] of the grid's height and width. A head of d features has d / 4
/// frequencies f = base^(−4i / d); its angles are 2π·y·f for all i, then 2π·x·f for all i, and that
/// once more. A head's features h become h · cos + (−second half, first half of h) · sin.
#[derive(Debug, Clone)]
pub struct Rotations {
    /// `[1 or batch, tokens, depth]`
    sines: Tensor<3>,
    /// `[1 or batch, tokens, depth]`
    cosines: Tensor<3>,
}

impl Rotations {
    /// Rotations of all cells of a grid, in heads of `depth` features.
    ///
    /// # Panics
    ///
    /// When `depth` is not a multiple of 4.
    pub fn of_grid(grid: Grid, depth: usize, base: f64, device: &Device) -> Self {
        assert!(
            depth.is_multiple_of(4),
            "rotary positions need heads of a multiple of 4 features, got {depth}"
        );
        let angles = angles(grid, depth, base);
        let table = |of: fn(f64) -> f64| {
            let values: Vec<f32> = angles.iter().map(|&angle| of(angle) as f32).collect();
            let device = device.clone().without_autodiff();
            Tensor::from_data(TensorData::new(values, [1, grid.cells(), depth]), &device)
        };
        Self { sines: table(f64::sin), cosines: table(f64::cos) }
    }

    /// What `select` makes of both tables, `[cells, depth]` → `[batch, tokens, depth]`.
    pub fn select(self, select: impl Fn(Tensor<2>) -> Tensor<3>) -> Self {
        let [sines, cosines] = [self.sines, self.cosines].map(|table| select(table.squeeze_dim(0)));
        Self { sines, cosines }
    }

    /// The same after `count` tokens that are not turned.
    pub fn after(self, count: usize) -> Self {
        let [batch, _, depth] = self.sines.dims();
        let filled = |table: Tensor<3>, value: f64| {
            let first =
                Tensor::full([batch, count, depth], value, (&table.device(), table.dtype()));
            Tensor::cat(vec![first, table], 1)
        };
        Self { sines: filled(self.sines, 0.0), cosines: filled(self.cosines, 1.0) }
    }

    /// Queries or keys, turned.
    ///
    /// # Shapes
    ///
    /// - heads: `[batch, tokens, heads, depth]`
    /// - output: the same
    pub(super) fn apply(&self, heads: Tensor<4>) -> Tensor<4> {
        let (depth, dtype) = (heads.dims()[3], heads.dtype());
        let first = heads.clone().slice(s![.., .., .., ..depth / 2]);
        let second = heads.clone().slice(s![.., .., .., depth / 2..]);
        let crossed = Tensor::cat(vec![-second, first], 3);
        let table = |table: &Tensor<3>| table.clone().cast(dtype).unsqueeze_dim::<4>(2);
        heads * table(&self.cosines) + crossed * table(&self.sines)
    }
}

/// The angles of all cells, row-major, `[cells, depth]`.
fn angles(grid: Grid, depth: usize, base: f64) -> Vec<f64> {
    let frequencies = depth / 4;
    let center = |index: usize, count: usize| (2 * index + 1) as f64 / count as f64 - 1.0;
    let mut angles = Vec::with_capacity(grid.cells() * depth);
    for cell in 0..grid.cells() {
        let y = center(cell / grid.cols, grid.rows);
        let x = center(cell % grid.cols, grid.cols);
        let of = |place: f64| {
            let exponent = move |i: usize| -4.0 * i as f64 / depth as f64;
            (0..frequencies).map(move |i| TAU * place * base.powf(exponent(i)))
        };
        let half: Vec<f64> = of(y).chain(of(x)).collect();
        angles.extend(half.iter().chain(&half));
    }
    angles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::Tolerance;

    #[test]
    fn a_quarter_turn_swaps_the_halves() {
        // y = ∓3/4 and ∓1/4, so odd quarters of a turn at the frequency 1; x = 0.
        let rotations = Rotations::of_grid(Grid::new(4, 1), 4, 100.0, &test_device());
        let heads = Tensor::from_floats([[[[1.0, 2.0, 3.0, 4.0]]; 4]], &test_device());
        let turned = rotations.apply(heads);
        let [ahead, back] = [[-3.0f32, 2.0, 1.0, 4.0], [3.0, 2.0, -1.0, 4.0]];
        let expected = TensorData::from([[[ahead], [back], [ahead], [back]]]);
        let turned = turned.into_data();
        turned.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
    }

    #[test]
    fn products_of_queries_and_keys_depend_on_offsets_alone() {
        let rotations = Rotations::of_grid(Grid::new(1, 5), 8, 100.0, &test_device()).after(1);
        let row = |value: f32| Tensor::<4>::full([1, 6, 1, 8], value, &test_device());
        let (query, key) = (rotations.apply(row(0.3)), rotations.apply(row(-1.2)));
        let products = query.squeeze_dim::<3>(2).matmul(key.squeeze_dim::<3>(2).transpose());
        let products: Vec<f32> = products.into_data().try_to_vec().unwrap();
        let of = |query: usize, key: usize| products[query * 6 + key];
        assert!((of(1, 3) - of(2, 4)).abs() < 1e-5 && (of(5, 2) - of(4, 1)).abs() < 1e-5);
        assert!((of(1, 3) - of(1, 4)).abs() > 1e-3);
        // The first token is not turned.
        assert!((of(0, 0) - 8.0 * 0.3 * -1.2).abs() < 1e-5);
    }
}
