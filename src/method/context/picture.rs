//! A picture of context predictions.

use crate::encoder::Backbone;
use crate::error::Result;
use crate::image::{ChannelStatistics, denormalize};
use crate::method::{ContextBatch, ContextPrediction, NEIGHBORS};
use crate::viz::{Picture, PictureGrid, pictures};

/// The gray of the other places in a neighborhood.
const EMPTY: [u8; 3] = [225; 3];

/// One row for each pair: the neighbor where it was, and where the task puts it.
///
/// `statistics` are those that the patches were normalized with.
///
/// # Errors
///
/// When there is no pair.
pub fn context_sheet<E: Backbone>(
    title: &str,
    task: &ContextPrediction<E>,
    batch: &ContextBatch,
    statistics: &ChannelStatistics,
) -> Result<PictureGrid> {
    let ContextBatch { centers, neighbors, positions } = batch.clone();
    let logits = task.predict(centers.clone(), neighbors.clone());
    let chosen = logits.argmax(1).into_data();
    let right = positions.into_data();
    let show = |patches| pictures(denormalize(patches, &statistics.mean, &statistics.std));
    let mut sheet = PictureGrid::new(title, ["where it is", "where it was put"]).with_footer(
        "The middle patch and one neighbor, as the network sees them: gaps closed, most shrunk and \
         enlarged or without some of their colors.",
    );
    let places = right.iter::<i64>().zip(chosen.iter::<i64>());
    for ((center, neighbor), places) in show(centers)?.iter().zip(&show(neighbors)?).zip(places) {
        let picture = |place: i64| neighborhood(center, neighbor, place as usize);
        sheet.push_row(vec![picture(places.0), picture(places.1)])?;
    }
    Ok(sheet)
}

/// A 3 × 3 neighborhood of which two patches are seen.
fn neighborhood(center: &Picture, neighbor: &Picture, place: usize) -> Picture {
    let side = center.width();
    let mut page = Picture::filled(3 * side + 2, 3 * side + 2, EMPTY);
    let middle = NEIGHBORS / 2;
    let cell = place + usize::from(place >= middle);
    for (picture, cell) in [(center, middle), (neighbor, cell)] {
        page.paste(picture, cell % 3 * (side + 1), cell / 3 * (side + 1));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbor_stands_where_its_number_says() {
        let (center, neighbor) = (Picture::filled(2, 2, [1; 3]), Picture::filled(2, 2, [2; 3]));
        for (place, x, y) in [(0, 0, 0), (3, 0, 3), (4, 6, 3), (7, 6, 6)] {
            let page = neighborhood(&center, &neighbor, place);
            assert_eq!((page.pixel(x, y), page.pixel(3, 3)), ([2; 3], [1; 3]));
        }
    }
}
