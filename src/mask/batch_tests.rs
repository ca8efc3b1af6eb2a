use super::*;
use crate::test_device;
use burn::tensor::{Int, Tensor};

fn mask(bits: [&[usize]; 2]) -> Mask {
    let samples: Vec<_> = bits
        .into_iter()
        .map(|hidden| UnitMask::from_indices(Grid::new(2, 2), hidden.iter().copied()).unwrap())
        .collect();
    Mask::new(samples, &test_device()).unwrap()
}

fn cells() -> Tensor<3> {
    Tensor::from_floats(
        [[[1.0], [2.0], [3.0], [4.0]], [[5.0], [6.0], [7.0], [8.0]]],
        &test_device(),
    )
}

fn values(tensor: Tensor<3>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn hidden_and_visible_rows_come_in_ascending_order() {
    let mask = mask([&[3, 0, 1], &[0, 2, 3]]).at(Grid::new(2, 2));
    assert_eq!((mask.asked.count(), mask.visible.count()), (3, 1));
    assert_eq!(values(mask.asked.select(cells())), [1., 2., 4., 5., 7., 8.]);
    assert_eq!(values(mask.visible.select(cells())), [3., 6.]);
}

#[test]
fn filling_puts_rows_back_in_their_places() {
    let mask = mask([&[1, 2], &[0, 3]]).at(Grid::new(2, 2));
    let filler = || Tensor::from_floats([[-1.0]], &test_device());
    let visible = mask.visible.select(cells());
    let filled = values(mask.visible.fill(visible, filler()));
    assert_eq!(filled, [1., -1., -1., 4., -1., 6., 7., -1.]);
    let hidden = mask.asked.select(cells());
    let filled = values(mask.asked.fill(hidden, filler()));
    assert_eq!(filled, [-1., 2., 3., -1., 5., -1., -1., 8.]);
}

#[test]
fn a_table_is_read_at_each_samples_visible_cells() {
    let mask = mask([&[1, 2], &[0, 3]]).at(Grid::new(2, 2));
    let table = Tensor::from_floats([[0.0], [10.0], [20.0], [30.0]], &test_device());
    assert_eq!(values(mask.visible.select_from_table(table)), [0., 30., 10., 20.]);
}

#[test]
fn ids_are_read_and_replaced_at_hidden_cells() {
    let mask = mask([&[1, 2], &[0, 3]]).at(Grid::new(2, 2));
    let ids = Tensor::<2, Int>::from_ints([[1, 2, 3, 4], [5, 6, 7, 8]], &test_device());
    let values = |ids: Tensor<2, Int>| ids.into_data().try_into_vec_as::<i64>().unwrap();
    let hidden = mask.asked.select_ids(ids.clone());
    assert_eq!(values(hidden.clone()), [2, 3, 5, 8]);
    let replaced = mask.asked.replace_ids(ids, hidden * 10);
    assert_eq!(values(replaced), [1, 20, 30, 4, 50, 6, 7, 80]);
}

#[test]
fn a_unit_covers_several_patches() {
    let fine = mask([&[1], &[2]]).at(Grid::new(4, 4));
    assert_eq!((fine.asked.count(), fine.visible.count()), (4, 12));
    let bits: Vec<bool> = fine.asked.contains().into_data().try_to_vec().unwrap();
    let hidden: Vec<_> = (0..32).filter(|&i| bits[i]).collect();
    assert_eq!(hidden, [2, 3, 6, 7, 24, 25, 28, 29]);
}

#[test]
fn other_cells_than_the_hidden_ones_may_be_asked_for() {
    let one = |cell| UnitMask::from_indices(Grid::new(2, 2), [cell]).unwrap();
    let both = mask([&[1, 2], &[0, 3]]).with_asked([one(2), one(1)]).unwrap();
    let read = both.at(Grid::new(2, 2));
    assert_eq!(values(read.visible.select(cells())), [1., 4., 6., 7.]);
    assert_eq!(values(read.asked.select(cells())), [3., 6.]);
    assert_eq!(read.asked.map().dims(), [2, 1, 2, 2]);
    let map: Vec<f32> = read.asked.map().into_data().try_to_vec().unwrap();
    assert_eq!(map, [0., 0., 1., 0., 0., 1., 0., 0.]);
    let first = both.first(1, &test_device()).unwrap().at(Grid::new(4, 4));
    assert_eq!((first.visible.count(), first.asked.count()), (8, 4));
    let message = both.with_asked([one(0)]).unwrap_err().to_string();
    assert!(message.contains("hides cells of 2 masks of 2×2 and asks for cells of 1 masks"));
}

#[test]
fn an_inverted_mask_shows_what_was_hidden_and_asks_for_what_was_visible() {
    let inverted = mask([&[0, 1, 3], &[0, 2, 3]]).inverted().at(Grid::new(2, 2));
    assert_eq!(values(inverted.visible.select(cells())), [1., 2., 4., 5., 7., 8.]);
    assert_eq!(values(inverted.asked.select(cells())), [3., 6.]);
}

#[test]
fn a_prepared_mask_has_the_grids_that_earlier_ones_were_read_at() {
    let (grids, fine) = (KnownGrids::default(), Grid::new(4, 4));
    let read = |mask: &Mask| mask.read.lock().unwrap().iter().map(|m| m.grid).collect::<Vec<_>>();
    let first = mask([&[1], &[2]]).prepared(&grids);
    assert_eq!(read(&first), []);
    first.at(fine);
    assert_eq!(read(&mask([&[3], &[0]]).prepared(&grids)), [fine]);
}

#[test]
fn masks_of_unequal_counts_are_refused_by_name() {
    let grid = Grid::new(2, 2);
    let samples = [vec![0], vec![1, 2]].map(|hidden| UnitMask::from_indices(grid, hidden).unwrap());
    let message = Mask::new(samples, &test_device()).unwrap_err().to_string();
    assert!(message.contains("sample 0 hides 1 of 2×2 cells, sample 1 hides 2 of 2×2"));
    assert!(Mask::new([], &test_device()).is_err());
}

#[test]
#[should_panic(expected = "3×3")]
fn a_grid_that_does_not_refine_the_units_panics() {
    mask([&[1], &[2]]).at(Grid::new(3, 3));
}

#[test]
fn masks_by_scores_are_those_of_the_same_cells_on_the_host() {
    let grid = Grid::new(2, 3);
    // Of equal scores the first is the higher one.
    let scores = [[0.3, 0.9, -1.0, 0.9, 0.2, 0.9], [5.0, 4.0, 3.0, -2.0, -1.0, 0.0]];
    let scores = Tensor::<2>::from_floats(scores, &test_device());
    let hidden = [vec![0, 2, 4, 5], vec![2, 3, 4, 5]];
    let samples = hidden.map(|hidden| UnitMask::from_indices(grid, hidden).unwrap());
    let expected = Mask::new(samples, &test_device()).unwrap().at(grid);
    let got = GridMask::of_scores(grid, scores, 2);
    assert_eq!((got.grid(), got.visible.count(), got.asked.count()), (grid, 2, 4));
    let tokens = Tensor::<1, Int>::arange(0..12, &test_device()).float().reshape([2, 6, 1]);
    let table = Tensor::<1, Int>::arange(20..26, &test_device()).float().reshape([6, 1]);
    let filler = || Tensor::from_floats([[-1.0]], &test_device());
    for (got, expected) in [(got.visible, expected.visible), (got.asked, expected.asked)] {
        let [rows, wanted] = [&got, &expected].map(|part| part.select(tokens.clone()));
        assert_eq!(values(rows.clone()), values(wanted));
        let [filled, wanted] = [&got, &expected].map(|part| part.fill(rows.clone(), filler()));
        assert_eq!(values(filled), values(wanted));
        let [read, wanted] = [&got, &expected].map(|part| part.select_from_table(table.clone()));
        assert_eq!(values(read), values(wanted));
    }
}
