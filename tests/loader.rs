//! The loader when a worker dies, and parts of a data set as burn's trainers ask for them.

mod common;

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use burn_mim::data::{Collate, Item, Loader, LoaderConfig, Sample};
use burn_mim::{ImageShape, Result};
use common::{device, waves};

/// The numbers of a batch's samples; panics at sample `fatal`.
#[derive(Debug, Clone)]
struct Numbers {
    fatal: Option<u64>,
}

impl Collate for Numbers {
    type Sample = Sample;
    type Batch = Vec<u64>;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        _device: &Device,
    ) -> Result<Vec<u64>> {
        items
            .map(|item| {
                let index = item?.index as u64;
                assert!(self.fatal != Some(index), "the collate of the user gives up");
                Ok(index)
            })
            .collect()
    }
}

fn loader(fatal: Option<u64>, workers: usize) -> Loader<Numbers> {
    let config = LoaderConfig { batch_size: 4, seed: 0, workers, training: false };
    Loader::new(waves(ImageShape::square(1, 4), 22), Numbers { fatal }, config, &device()).unwrap()
}

#[test]
fn a_worker_that_panics_is_an_error_with_the_batch_and_not_a_hang() {
    for workers in [1, 3] {
        let mut epoch = loader(Some(9), workers).epoch(0, 0);
        assert_eq!(epoch.next().unwrap().unwrap(), [0, 1, 2, 3]);
        assert_eq!(epoch.next().unwrap().unwrap(), [4, 5, 6, 7]);
        let message = epoch.next().unwrap().unwrap_err().to_string();
        assert!(message.contains("batch 2") && message.contains("panicked"), "{message}");
        // The others end as well: an epoch has as many items as batches.
        assert_eq!(epoch.count(), 3);
    }
}

#[test]
fn slices_are_parts_of_the_samples_and_slices_of_slices_too() {
    let all = |loader: &Arc<dyn DataLoader<Vec<u64>>>| -> Vec<u64> {
        loader.iter().flat_map(|batch| batch.unwrap()).collect()
    };
    let numbers = |range: std::ops::Range<u64>| range.collect::<Vec<_>>();
    let part = loader(None, 0).slice(5, 20);
    assert_eq!(part.num_items(), 15);
    assert_eq!(all(&part), numbers(5..20));
    let inner = part.slice(3, 9);
    assert_eq!((inner.num_items(), all(&inner)), (6, numbers(8..14)));
    // Two halves are the whole, each sample once.
    let halves = [loader(None, 2).slice(0, 11), loader(None, 2).slice(11, 22)];
    assert_eq!([all(&halves[0]), all(&halves[1])].concat(), numbers(0..22));
}
