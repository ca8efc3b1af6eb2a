//! Finding every image that cannot be read before a run needs it.

use crate::data::options::{OpenProgress, OpenStep};
use crate::data::sample::data_error;
use crate::data::scan::scan;
use crate::data::{ImageData, ImageDataset};

impl ImageData {
    /// Reads every image of both splits, on all cores, and yields the faults of those that cannot be
    /// read, in the order of the splits; each names its file. `progress` hears how far that is.
    pub fn verify(&self, progress: &mut dyn FnMut(OpenProgress)) -> Vec<String> {
        let total = self.train.len() + self.test.len();
        let mut before = 0;
        let mut faults = Vec::new();
        for split in [&self.train, &self.test] {
            faults.extend(faults_of(&**split, &mut |done| {
                let (done, total) = ((before + done) as u64, Some(total as u64));
                progress(OpenProgress { step: OpenStep::Verify, done, total });
            }));
            before += split.len();
        }
        faults
    }
}

fn faults_of(split: &dyn ImageDataset, progress: &mut dyn FnMut(usize)) -> Vec<String> {
    let places: Vec<usize> = (0..split.len()).collect();
    let fault = |index| split.get(index).err().map(|error| data_error(index, error).to_string());
    scan(&places, fault, |_| false, progress).into_iter().flatten().collect()
}
