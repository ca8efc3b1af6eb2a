//! Work on the rows of new buffers, tile by tile on all threads.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::simd::add;

/// The largest number of rows in a tile. A matrix product packs the weight once for each tile,
/// which costs noticeable time with 256 rows; with more rows there are fewer tiles to share among
/// threads.
const TILE: usize = 512;

/// The largest number of parts that sums over all rows are split into, each with a partial sum.
const PARTS: usize = 8;

/// The number of rows in a tile, given the number of all rows: tiles of at most 512 rows, as even
/// as possible, and an even number of tiles for two threads.
pub(super) fn tile(rows: usize) -> usize {
    let count = rows.div_ceil(TILE).next_multiple_of(2).max(1);
    rows.div_ceil(count).next_multiple_of(16).max(16)
}

/// The number of rows in a part that keeps a partial sum, given the number of all rows. It depends
/// on the rows alone, so that sums are the same for any number of threads. A part has two tiles or
/// more, so that adding up the partial sums costs little.
pub(super) fn part(rows: usize) -> usize {
    let count = rows.div_ceil(2 * TILE).next_multiple_of(2).clamp(1, PARTS);
    rows.div_ceil(count).max(1)
}

/// New buffers of `rows` rows each, in tiles of `tile` rows. Every row starts as a copy of its
/// buffer's element of `starts`; `write` gets a tile's first row and its part of each buffer.
///
/// Returns the buffers, and what `write` returned in the order of the rows.
pub(super) fn by_tiles<const N: usize, R: Send>(
    rows: usize,
    tile: usize,
    starts: [&[f32]; N],
    write: impl Fn(usize, [&mut [f32]; N]) -> R + Sync,
) -> ([Vec<f32>; N], Vec<R>) {
    let values = |start: &[f32]| rows.checked_mul(start.len()).expect("a buffer fits in memory");
    let mut buffers = starts.map(|start| Vec::with_capacity(values(start)));
    let mut rests = buffers.each_mut().map(|buffer| buffer.spare_capacity_mut());
    let mut tiles = Vec::with_capacity(rows.div_ceil(tile));
    for first in (0..rows).step_by(tile) {
        let count = tile.min(rows - first);
        let mut index = 0;
        let parts = rests.each_mut().map(|rest| {
            let (part, others) = std::mem::take(rest).split_at_mut(count * starts[index].len());
            (*rest, index) = (others, index + 1);
            part
        });
        tiles.push((first, parts));
    }
    let results = tiles
        .into_par_iter()
        .map(|(first, parts)| {
            let mut starts = starts.iter();
            write(first, parts.map(|part| filled(part, starts.next().expect("one for each"))))
        })
        .collect();
    for (buffer, start) in buffers.iter_mut().zip(starts) {
        // SAFETY: the tiles cover all rows, and `filled` has written every value of each.
        #[allow(unsafe_code)]
        unsafe {
            buffer.set_len(values(start));
        }
    }
    (buffers, results)
}

/// Fills `part` with copies of `start` one after the other.
///
/// Clearing a tile just before it is worked on costs next to nothing, since it stays in the cache;
/// clearing a whole buffer first costs as much as reading and writing it again.
fn filled<'a>(part: &'a mut [MaybeUninit<f32>], start: &[f32]) -> &'a mut [f32] {
    if !start.is_empty() {
        for row in part.chunks_exact_mut(start.len()) {
            row.write_copy_of_slice(start);
        }
    }
    // SAFETY: a part is a whole number of rows, and all of them have just been written; without
    // values in a row the part has none either.
    #[allow(unsafe_code)]
    unsafe {
        part.assume_init_mut()
    }
}

/// The sum of vectors of one length, in their order.
pub(super) fn total(mut parts: Vec<Vec<f32>>) -> Vec<f32> {
    const CHUNK: usize = 1 << 14;
    let rest = parts.split_off(1);
    let mut first = parts.pop().expect("at least one part");
    first.par_chunks_mut(CHUNK).enumerate().for_each(|(index, sum)| {
        let start = index * CHUNK;
        for part in &rest {
            add(sum, &part[start..start + sum.len()]);
        }
    });
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_all_rows_once_and_start_as_told() {
        for rows in [0, 1, 5, 300, 1000] {
            let starts = [&[1.0, 2.0][..], &[], &[0.0]];
            let ([pairs, nothing, numbers], firsts) =
                by_tiles(rows, 7, starts, |first, [_, _, numbers]| {
                    for (index, number) in numbers.iter_mut().enumerate() {
                        *number += (first + index) as f32;
                    }
                    first
                });
            assert_eq!(pairs, [1.0, 2.0].repeat(rows));
            assert!(nothing.is_empty());
            assert_eq!(numbers, (0..rows).map(|row| row as f32).collect::<Vec<_>>());
            assert_eq!(firsts, (0..rows).step_by(7).collect::<Vec<_>>());
        }
    }

    #[test]
    fn tiles_and_parts_are_even_and_not_too_large() {
        assert_eq!((tile(4160), tile(1576), tile(400), tile(1)), (416, 400, 208, 16));
        assert_eq!((part(4160), part(1576), part(1), part(300)), (694, 788, 1, 150));
        assert_eq!((tile(0), part(0)), (16, 1));
        assert!((1..5000).all(|rows| tile(rows) <= TILE + 16 && part(rows) > 0));
    }

    #[test]
    fn totals_add_all_parts() {
        let part = |value: f32| vec![value; 40_000];
        assert_eq!(total(vec![part(1.0), part(2.0), part(4.0)]), part(7.0));
    }
}
