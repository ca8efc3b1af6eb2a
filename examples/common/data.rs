//! Opening an example's data.

use burn_mim::Result;
use burn_mim::data::{DataSpec, ImageData};

/// Opens the data, saying how far a download is.
pub(crate) fn open(spec: &DataSpec) -> Result<ImageData> {
    let mut reported = 0;
    let data = spec.open(&mut |done, total| {
        if done >= reported + (8 << 20) {
            reported = done;
            let total = total.map_or(String::new(), |total| format!(" of {}", total >> 20));
            eprintln!("downloading: {}{total} MB", done >> 20);
        }
    })?;
    eprintln!("{spec}: {} images to train, {} to test", data.train.len(), data.test.len());
    Ok(data)
}
