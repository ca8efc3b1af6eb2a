//! What contexts and target blocks promise.

use super::*;
use crate::rng::{Purpose, stream};
use crate::test_device;
use proptest::prelude::*;

fn drawn(config: &MultiBlockConfig, grid: Grid, seed: u64, images: u64) -> BlockMasks {
    let blocks = config.build(grid).unwrap();
    let mut batch = blocks.for_batch(&mut stream(seed, Purpose::BatchMask, 0, 0));
    for image in 0..images {
        batch.draw(&mut stream(seed, Purpose::Mask, 0, image));
    }
    batch.masks(&test_device()).unwrap()
}

/// The asked cells of every target mask, as the hidden ones of a mask.
fn asked(masks: &BlockMasks, grid: Grid) -> Vec<UnitMask> {
    let bits = masks.targets.at(grid).asked.contains().into_data();
    let bits: Vec<bool> = bits.iter().collect();
    bits.chunks(grid.cells()).map(|bits| UnitMask::new(grid, bits.to_vec()).unwrap()).collect()
}

/// Rows and columns of the rectangle that a mask hides; panics where it is none.
fn rectangle(mask: &UnitMask) -> [usize; 2] {
    let cells: Vec<_> = mask.hidden_indices().collect();
    let cols = mask.grid().cols;
    let (first, last) = (cells[0], cells[cells.len() - 1]);
    let sides = [last / cols - first / cols + 1, last % cols - first % cols + 1];
    assert_eq!(sides[0] * sides[1], cells.len(), "\n{mask}");
    sides
}

/// What it printed once: saved runs draw their masks again, so that they must not change.
#[test]
fn a_stream_gives_this_very_context_and_these_target_blocks() {
    let grid = Grid::square(8);
    let masks = drawn(&MultiBlockConfig::small_images(grid), grid, 1, 3);
    let context = masks.context.samples()[1].inverted();
    let targets = asked(&masks, grid);
    let mut picture = context.to_string().replace('█', "c");
    for (number, target) in targets[4..8].iter().enumerate() {
        let marks = target.to_string();
        let seen = picture.chars().zip(marks.chars());
        let number = char::from_digit(number as u32 + 1, 10).unwrap();
        picture = seen.map(|(old, mark)| if mark == '█' { number } else { old }).collect();
    }
    let rows = [
        "ccccc222", "ccccc222", "ccccc222", "4443c222", "4443c111", "4443c111", "4443c111",
        "cccccccc",
    ];
    assert_eq!(picture, rows.join("\n"));
}

#[test]
fn sizes_are_those_of_the_published_code() {
    let grid = Grid::square(14);
    // int(196 · 0.15) = 29: round √(29 · 0.75) = 5 rows, round √(29 / 0.75) = 6 columns.
    assert_eq!(size(grid, area(grid, 0.15), 0.75), [5, 6]);
    // int(196 · 0.2) = 39: round √(39 · 1.5) = 8 rows, round √(39 / 1.5) = 5 columns.
    assert_eq!(size(grid, area(grid, 0.2), 1.5), [8, 5]);
    assert_eq!([square(grid, 0.85), square(grid, 1.0)], [[13, 13], [14, 14]]);
    // A square that is too tall is as wide as its area asks for.
    assert_eq!(square(Grid::new(2, 20), 0.85), [2, 17]);
    assert_eq!(size(Grid::new(20, 2), 12, 0.75), [6, 2]);
    assert_eq!(size(Grid::square(1), 1, 1.5), [1, 1]);
}

#[test]
fn the_target_blocks_of_an_image_lie_side_by_side_behind_its_context() {
    let grid = Grid::new(6, 8);
    let masks = drawn(&MultiBlockConfig::small_images(grid).with_targets(3), grid, 5, 4);
    let (contexts, targets) = (masks.context.samples(), masks.targets.samples());
    assert_eq!((contexts.len(), targets.len()), (4, 12));
    for (target, hidden) in targets.iter().enumerate() {
        assert_eq!(*hidden, contexts[target / 3]);
    }
}

#[test]
fn every_cell_is_a_context_and_a_target_at_times() {
    let grid = Grid::square(8);
    let masks = drawn(&MultiBlockConfig::small_images(grid), grid, 3, 200);
    let mut times = [[0; 64]; 2];
    masks.context.samples().iter().for_each(|mask| {
        mask.visible_indices().for_each(|cell| times[0][cell] += 1);
    });
    asked(&masks, grid).iter().for_each(|mask| {
        mask.hidden_indices().for_each(|cell| times[1][cell] += 1);
    });
    assert!(times.iter().flatten().all(|&times| times > 0), "{times:?}");
    // None is favored for being in the upper rows, as where the last cells are cut off.
    let [upper, lower] = [0..32, 32..64].map(|cells| times[0][cells].iter().sum::<usize>());
    assert!((upper as f64 / lower as f64 - 1.0).abs() < 0.2, "{upper} {lower}");
}

#[test]
fn numbers_that_leave_no_context_are_refused_with_the_values() {
    let fault = |config: MultiBlockConfig, grid| config.build(grid).unwrap_err().to_string();
    let new = MultiBlockConfig::new;
    let message = fault(new(), Grid::square(3));
    assert!(message.contains("leave fewer than 11 cells (min_context)"), "{message}");
    assert!(message.contains("on a grid of 3×3"), "{message}");
    let message = fault(new().with_target_scale([0.3, 0.2]), Grid::square(14));
    assert!(message.contains("target_scale must be two ascending numbers"), "{message}");
    assert!(message.contains("got 0.3 and 0.2"), "{message}");
    for broken in [
        new().with_targets(0),
        new().with_min_context(0),
        new().with_target_scale([0.0, 0.2]),
        new().with_target_aspect([f64::NAN, 1.0]),
        new().with_context_scale([0.85, 1.5]),
        new().with_target_scale([0.9, 1.0]),
        new().with_targets(usize::MAX),
    ] {
        assert!(broken.build(Grid::square(14)).is_err(), "{broken:?}");
    }
    assert!(MultiBlockConfig::small_images(Grid::square(1)).build(Grid::square(1)).is_err());
}

proptest! {
    #[test]
    fn contexts_are_equally_large_and_see_nothing_of_equally_large_target_blocks(
        rows in 2usize..=16,
        cols in 2usize..=16,
        targets in 1usize..=5,
        scale in 0.05f64..0.2,
        seed: u64,
    ) {
        let grid = Grid::new(rows, cols);
        let config = MultiBlockConfig::small_images(grid)
            .with_targets(targets)
            .with_target_scale([scale, scale + 0.05]);
        let masks = drawn(&config, grid, seed, 5);
        let (visible, asked_count) =
            (masks.context.at(grid).visible.count(), masks.targets.at(grid).asked.count());
        prop_assert!(visible >= config.min_context);
        let targets_of = asked(&masks, grid);
        let first = rectangle(&targets_of[0]);
        prop_assert_eq!(first[0] * first[1], asked_count);
        for (index, target) in targets_of.iter().enumerate() {
            prop_assert_eq!(rectangle(target), first);
            let hidden = &masks.context.samples()[index / targets];
            prop_assert!(target.hidden_indices().all(|cell| hidden.bits()[cell]));
        }
    }

    #[test]
    fn the_same_streams_give_the_same_masks(seed: u64) {
        let grid = Grid::square(4);
        let config = MultiBlockConfig::small_images(grid);
        let [first, second] = [(); 2].map(|()| drawn(&config, grid, seed, 4));
        prop_assert_eq!(first.context.samples(), second.context.samples());
        prop_assert_eq!(asked(&first, grid), asked(&second, grid));
    }
}
