//! Opening an example's data.
#![allow(dead_code, reason = "each example uses its own part")]

use std::ffi::OsString;

use burn_mim::Result;
use burn_mim::data::{
    Channels, DataOptions, DataSpec, ImageData, OnBadImage, OpenProgress, OpenStep,
};
use clap::builder::{OsStringValueParser, TypedValueParser};

// How the images are read, on every command line that opens some. (No doc comment: clap would take
// it for what the command does.)
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Reading {
    /// auto | 1 | 3: channels that every image is converted to; auto: color if any of up to 1024
    /// training images looked at has color
    #[arg(long, default_value_t)]
    channels: Channels,
    /// error | skip: what becomes of a file that cannot be read as an image
    #[arg(long, default_value_t)]
    on_bad_image: OnBadImage,
}

impl Reading {
    /// The same for the library.
    pub(crate) fn options(&self) -> DataOptions {
        DataOptions::default().with_channels(self.channels).with_on_bad_image(self.on_bad_image)
    }

    /// The same for an encoder that reads images of `channels` channels.
    pub(crate) fn options_for(&self, channels: usize) -> DataOptions {
        match self.channels {
            Channels::Auto => self.options().with_channels(Channels::Exactly(channels)),
            Channels::Exactly(_) => self.options(),
        }
    }
}

/// Reads `--data`, whose path may be any bytes.
pub(crate) fn spec() -> impl TypedValueParser<Value = DataSpec> {
    OsStringValueParser::new().try_map(|text: OsString| DataSpec::from_os(&text))
}

/// Opens the data, saying how far a download is and what was found.
pub(crate) fn open(spec: &DataSpec, options: &DataOptions) -> Result<ImageData> {
    let mut reported = 0;
    let data = spec.open(options, &mut |OpenProgress { step, done, total }| {
        if step == OpenStep::Download && done >= reported + (8 << 20) {
            reported = done;
            let total = total.map_or(String::new(), |total| format!(" of {}", total >> 20));
            eprintln!("downloading: {}{total} MB", done >> 20);
        }
    })?;
    let (train, test) = (data.train.len(), data.test.len());
    let channels = data.shape.channels;
    eprintln!("{spec}: {train} images to train, {test} to test, channels: {channels}");
    for note in &data.notes {
        eprintln!("note: {note}");
    }
    Ok(data)
}
