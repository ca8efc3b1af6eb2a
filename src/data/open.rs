//! Opening the source that a specification names.

use crate::data::options::{DataOptions, OpenProgress, OpenStep};
use crate::data::source::{MovingShapes, Shapes, cifar, clips, folder, idx, shards};
use crate::data::spec::DataSpec;
use crate::data::splits::{ImageData, Splits};
use crate::error::{Error, Result};
use crate::image::ChannelStatistics;

impl DataSpec {
    /// Opens the source by `options`. `progress` hears how far that is.
    ///
    /// # Errors
    ///
    /// When an option is broken, or the data cannot be had or is not what it should be; names the
    /// file at fault.
    pub fn open(
        &self,
        options: &DataOptions,
        progress: &mut dyn FnMut(OpenProgress),
    ) -> Result<ImageData> {
        let data = self.splits(options, progress)?.open(options, progress)?;
        Ok(ImageData { origin: Some(self.clone()), ..data })
    }

    /// As [`DataSpec::open`], with statistics that are known ([`Splits::open_measured`]).
    ///
    /// # Errors
    ///
    /// As [`DataSpec::open`].
    pub fn open_measured(
        &self,
        options: &DataOptions,
        statistics: ChannelStatistics,
        progress: &mut dyn FnMut(OpenProgress),
    ) -> Result<ImageData> {
        let data = self.splits(options, progress)?.open_measured(options, statistics, progress)?;
        Ok(ImageData { origin: Some(self.clone()), ..data })
    }

    /// The splits of the source before any image is read.
    pub(super) fn splits(
        &self,
        options: &DataOptions,
        progress: &mut dyn FnMut(OpenProgress),
    ) -> Result<Splits> {
        options.validate()?;
        if let (Some(masks), false) = (&options.masks, matches!(self, Self::Folder(_))) {
            let masks = masks.display();
            let fault =
                format!("label maps in {masks} are those of a folder of images, not of {self}");
            return Err(Error::config(fault));
        }
        let is_in_shards = matches!(self, Self::Tar(_) | Self::Parquet(_));
        if options.shuffle_window.is_some() && !is_in_shards {
            let fault = format!("a window of shards is for data in shards, which {self} is not");
            return Err(Error::config(fault));
        }
        if options.frames.is_some() && !self.is_of_clips() {
            let fault = format!("a number of frames is for data of clips, which {self} is not");
            return Err(Error::config(fault));
        }
        if options.stride.is_some() && !matches!(self, Self::Clips(_)) {
            let fault = format!("a stride is for films (clips:DIR), which {self} is not");
            return Err(Error::config(fault));
        }
        let mut download =
            |done, total| progress(OpenProgress { step: OpenStep::Download, done, total });
        Ok(match self {
            Self::Shapes => Shapes::splits(),
            Self::MovingShapes => MovingShapes::splits(options.frames()),
            Self::Cifar10(path) => cifar::cifar10_splits(path.as_deref(), &mut download)?,
            Self::Cifar100(path) => cifar::cifar100_splits(path.as_deref(), &mut download)?,
            Self::Idx(path) => idx::splits(path)?,
            Self::Folder(path) => folder::splits(path, options, progress)?,
            Self::Clips(path) => clips::splits(path, options, progress)?,
            Self::Tar(path) => shards::splits(path, progress)?,
            #[cfg(feature = "parquet")]
            Self::Parquet(path) => shards::parquet::splits(path, progress)?,
            #[cfg(not(feature = "parquet"))]
            Self::Parquet(_) => {
                let fault =
                    "this program was built without the feature `parquet`, which reads such files";
                return Err(Error::config(fault));
            }
        })
    }
}
