//! What stands still behind a frame: the median of other frames, moved onto it.

use super::shift::Shift;

/// How a frame differs from what the median of others shows at each of its pixels.
#[derive(Debug)]
pub(super) struct Residual {
    /// The background, `[channels][height][width]`, in levels of 255; the frame itself where no other
    /// one shows the place.
    pub(super) background: Vec<f32>,
    /// The frame minus the background, likewise.
    pub(super) differences: Vec<f32>,
    /// The squared slope of the background, likewise.
    pub(super) slopes: Vec<f32>,
    pub(super) channels: usize,
}

/// The residual of `frame`, given other 8-bit frames and how far further its places are in each.
pub(super) fn residual(frame: &[u8], size: (usize, usize), others: &[(&[u8], Shift)]) -> Residual {
    let (height, width) = size;
    let plane = height * width;
    let mut background = vec![f32::NAN; frame.len()];
    let mut samples = vec![vec![0.0f32; width]; others.len()];
    let (mut counts, mut spare) = (vec![0usize; width], vec![0.0f32; width]);
    for (channel, rows) in background.chunks_exact_mut(plane).enumerate() {
        for (y, row) in rows.chunks_exact_mut(width).enumerate() {
            counts.fill(0);
            for (sample, (other, shift)) in samples.iter_mut().zip(others) {
                let other = &other[channel * plane..][..plane];
                moved_row(other, size, y, *shift, sample, &mut counts);
            }
            sort(&mut samples, &mut spare);
            median(&samples, &counts, row);
        }
    }
    let slopes = background.chunks_exact(plane).flat_map(|plane| slopes(plane, width)).collect();
    // Where nothing is known of the background, it is taken for what is there.
    background
        .iter_mut()
        .zip(frame)
        .filter(|(still, _)| still.is_nan())
        .for_each(|(still, &value)| *still = f32::from(value));
    let differences = frame.iter().zip(&background).map(|(&value, still)| f32::from(value) - still);
    let differences = differences.collect();
    Residual { background, differences, slopes, channels: frame.len() / plane }
}

/// Row `y` of a plane moved by `shift`, mixed of the four nearest pixels; infinite where the plane
/// ends, and counted where it does not.
fn moved_row(
    plane: &[u8],
    (height, width): (usize, usize),
    y: usize,
    shift: Shift,
    row: &mut [f32],
    counts: &mut [usize],
) {
    row.fill(f32::INFINITY);
    let place = |at: f32| (at.floor(), at - at.floor());
    let ((first, across), (top, down)) = (place(shift.0), place(shift.1));
    let top = y as isize + top as isize;
    let (rows, cols) = (1 + isize::from(down > 0.0), 1 + usize::from(across > 0.0));
    if top < 0 || top + rows > height as isize {
        return;
    }
    let first = first as isize;
    let start = (-first).clamp(0, width as isize) as usize;
    let end = (width as isize - (cols as isize - 1) - first).clamp(start as isize, width as isize);
    let source = &plane[top as usize * width..];
    let from = (start as isize + first) as usize;
    let count = end as usize - start;
    let upper = &source[from..][..count + cols - 1];
    let lower = &source[(rows as usize - 1) * width + from..][..count + cols - 1];
    let weights = [
        (1.0 - across) * (1.0 - down),
        across * (1.0 - down),
        (1.0 - across) * down,
        across * down,
    ];
    let next = cols - 1;
    for (x, value) in row[start..start + count].iter_mut().enumerate() {
        *value = weights[0] * f32::from(upper[x])
            + weights[1] * f32::from(upper[x + next])
            + weights[2] * f32::from(lower[x])
            + weights[3] * f32::from(lower[x + next]);
    }
    counts[start..start + count].iter_mut().for_each(|count| *count += 1);
}

/// Sorts the samples of each place in ascending order, all places of a row at once.
fn sort(samples: &mut [Vec<f32>], spare: &mut [f32]) {
    // An odd-even transposition network: as many rounds as samples.
    for round in 0..samples.len() {
        for pair in samples[round % 2..].chunks_exact_mut(2) {
            let [low, high] = pair else { unreachable!("chunks of two") };
            for ((low, high), spare) in low.iter_mut().zip(high.iter_mut()).zip(&mut *spare) {
                *spare = low.min(*high);
                *high = low.max(*high);
                *low = *spare;
            }
        }
    }
}

/// The median of the first `counts` of the sorted samples of each place; not a number where there is
/// none.
fn median(samples: &[Vec<f32>], counts: &[usize], row: &mut [f32]) {
    for (x, (value, &count)) in row.iter_mut().zip(counts).enumerate() {
        if count > 0 {
            *value = 0.5 * (samples[(count - 1) / 2][x] + samples[count / 2][x]);
        }
    }
}

/// The squared slope at each pixel of a plane: central differences, 0 at edges.
fn slopes(plane: &[f32], width: usize) -> Vec<f32> {
    let height = plane.len() / width;
    let mut slopes = vec![0.0; plane.len()];
    for y in 0..height {
        let rows = [y.saturating_sub(1), y, (y + 1).min(height - 1)];
        let [above, row, below] = rows.map(|y| &plane[y * width..][..width]);
        for x in 0..width {
            let across = row[(x + 1).min(width - 1)] - row[x.saturating_sub(1)];
            let down = below[x] - above[x];
            let slope = 0.25 * (across * across + down * down);
            slopes[y * width + x] = if slope.is_nan() { 0.0 } else { slope };
        }
    }
    slopes
}
