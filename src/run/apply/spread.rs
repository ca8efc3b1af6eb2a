//! A smooth filling of holes.

/// Gives every marked pixel the mean of its neighbors that have a value, from the border of the
/// marked region inwards.
pub(super) fn spread(plane: &mut [f32], marked: &[bool], width: usize) {
    let mut unknown = marked.to_vec();
    let (height, last) = (plane.len() / width, plane.len());
    let beside = move |at: usize| {
        let (row, col) = (at / width, at % width);
        [
            (row > 0).then(|| at - width),
            (row + 1 < height).then(|| at + width),
            (col > 0).then(|| at - 1),
            (col + 1 < width).then(|| at + 1),
        ]
        .into_iter()
        .flatten()
    };
    let at_border = |&at: &usize| unknown[at] && beside(at).any(|at| !unknown[at]);
    let mut ring: Vec<usize> = (0..last).filter(at_border).collect();
    while !ring.is_empty() {
        let mean = |&at: &usize| {
            let values = beside(at).filter(|&at| !unknown[at]).map(|at| plane[at]);
            let (sum, count) =
                values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
            sum / count as f32
        };
        let means: Vec<f32> = ring.iter().map(mean).collect();
        for (&at, mean) in ring.iter().zip(means) {
            (plane[at], unknown[at]) = (mean, false);
        }
        ring = ring.iter().flat_map(|&at| beside(at)).filter(|&at| unknown[at]).collect();
        ring.sort_unstable();
        ring.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smooth_filling_is_between_its_neighbors() {
        let mut row = [0.0, 9.0, 9.0, 9.0, 1.0];
        spread(&mut row, &[false, true, true, true, false], 5);
        assert_eq!(row, [0.0, 0.0, 0.5, 1.0, 1.0]);
    }
    #[test]
    fn rings_of_a_hole_are_means_of_the_ring_before() {
        // Of a 5 × 5 plane of 1 above and 3 below, the middle 3 × 3 are marked.
        let mut plane: Vec<f32> = (0..25).map(|at| if at < 10 { 1.0 } else { 3.0 }).collect();
        let marked: Vec<_> =
            (0..25).map(|at| (1..4).contains(&(at / 5)) && (1..4).contains(&(at % 5))).collect();
        spread(&mut plane, &marked, 5);
        assert_eq!(plane[6..9], [1.0, 1.0, 1.0]);
        // The sides of the middle row: 3 to the left or right alone is known.
        assert_eq!([plane[11], plane[13]], [3.0, 3.0]);
        assert_eq!(plane[16..19], [3.0, 3.0, 3.0]);
        // The middle, last: means of 1, 3, 3, 3.
        assert_eq!(plane[12], 2.5);
    }

    #[test]
    fn a_hole_of_millions_of_pixels_costs_a_look_at_each() {
        // The ring by ring search of the whole plane took minutes for this.
        let (height, width) = (1500, 2000);
        let marked: Vec<_> = (0..height * width).map(|at| at >= width && at % width > 0).collect();
        let mut plane = vec![1.0; height * width];
        spread(&mut plane, &marked, width);
        assert!(plane.iter().all(|&value| value == 1.0));
    }
}
