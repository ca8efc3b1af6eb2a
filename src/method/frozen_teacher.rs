//! A frozen teacher: a network that somebody trained, of which a student learns.

use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::config::config;
use crate::encoder::{AnyBackbone, Backbone, BackboneConfig, GridTokens, VitConfig};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::image::{ChannelStatistics, normalize};
use crate::nn::{InitialWeights, MlpActivation, Positions};
use crate::target::{FeatureConfig, FeatureLayers, FeatureTarget};

config! {
    /// A frozen teacher: what it is, and where it is kept.
    ///
    /// What it is stands beside the path, so that a run can be resumed and loaded without the
    /// teacher's folder: its weights are in the run's checkpoints.
    #[derive(Debug, PartialEq)]
    pub struct TeacherConfig {
        /// Its sizes.
        pub network: BackboneConfig,
        /// How the images are normalized that it reads. Default: as the run's
        pub statistics: Option<ChannelStatistics> = None,
        /// The folder of a run, a folder of transformers, or a file of published weights. Default: none,
        /// and MAE's model for small images is trained first, in `teacher` in the run's folder
        pub folder: Option<PathBuf> = None,
    }
}

impl TeacherConfig {
    /// MAE's model for small images, which is trained first.
    pub(super) fn small_images(image: ImageShape) -> Self {
        Self::new(BackboneConfig::Vit(VitConfig::new(image, 4, 128, 6, 4)))
    }

    /// The vision transformer of CLIP (arXiv 2103.00020) in the sizes of `vit`.
    pub(super) fn clip(vit: VitConfig) -> Self {
        let vit = vit
            .with_norm_epsilon(1e-5)
            .with_positions(Positions::Learned)
            .with_activation(MlpActivation::QuickGelu)
            .with_pre_norm(true)
            .with_patch_bias(false);
        Self::new(BackboneConfig::Vit(vit))
    }

    /// The same teacher made for other images.
    #[cfg(feature = "run")]
    pub(super) fn for_images(mut self, image: ImageShape) -> Self {
        match &mut self.network {
            BackboneConfig::Vit(vit) => vit.image = image,
            BackboneConfig::Swin(swin) => swin.image = image,
            BackboneConfig::SwinV2(swin) => swin.sizes.image = image,
            BackboneConfig::ConvNextV2(convnext) => convnext.image = image,
            BackboneConfig::Hiera(hiera) => hiera.image = image,
        }
        self
    }

    /// Checks every rule of the numbers, and that there are `features` for each patch of the student
    /// `student`.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values, such as both grids.
    pub fn validate(&self, student: &VitConfig, features: FeatureConfig) -> Result<()> {
        let Self { network, statistics, .. } = self;
        network.validate()?;
        let (own, image) = (network.image(), student.image);
        ensure!(
            own.channels == image.channels,
            "the teacher reads images of {} channels, the student of {}",
            own.channels,
            image.channels
        );
        let (cells, grid) = (student.image.grid(student.patch)?, network.grid()?);
        ensure!(
            cells == grid,
            "features for each patch: the teacher has {grid} of them, the student {cells}"
        );
        if let Some(statistics) = statistics {
            statistics.check(own)?;
        }
        let is_vit = matches!(network, BackboneConfig::Vit(_));
        ensure!(
            is_vit || !matches!(features.layers, FeatureLayers::Mlps { .. }),
            "the MLPs of a teacher are read of a ViT alone"
        );
        features.validate(network.layers())
    }

    /// The teacher with this network, of students whose images are normalized by `statistics`.
    pub fn with_network(
        &self,
        network: AnyBackbone,
        statistics: &ChannelStatistics,
    ) -> FrozenTeacher {
        FrozenTeacher::new(network, self.statistics.as_ref(), statistics)
    }

    /// The `features` of the teacher with weights that are still to come.
    pub(super) fn blank_target(
        &self,
        features: FeatureConfig,
        statistics: &ChannelStatistics,
        weights: &InitialWeights,
    ) -> FeatureTarget<FrozenTeacher> {
        let network = self.network.init(&mut InitialWeights::new(0, weights.device()));
        FeatureTarget::frozen(self.with_network(network, statistics), features)
    }
}

/// A network that reads images which are normalized by other statistics than it was trained with.
#[derive(Module, Debug)]
pub struct FrozenTeacher {
    /// The network.
    pub network: AnyBackbone,
    /// What is subtracted from the images, and what they are divided by; nothing for images that are
    /// normalized as its own.
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl FrozenTeacher {
    /// A network that was trained on images normalized by `own` and reads images normalized by
    /// `images`; without `own` it reads these.
    pub fn new(
        network: AnyBackbone,
        own: Option<&ChannelStatistics>,
        images: &ChannelStatistics,
    ) -> Self {
        let ChannelStatistics { mean, std } = images;
        let (mean, std) = own.filter(|own| *own != images).map_or(Default::default(), |own| {
            // ((x · std + mean) − own mean) / own std
            let means = own.mean.iter().zip(mean).zip(std);
            let means = means.map(|((own, mean), std)| (own - mean) / std);
            (means.collect(), own.std.iter().zip(std).map(|(own, std)| own / std).collect())
        });
        Self { network, mean, std }
    }

    /// As [`AnyBackbone::represent_scored`].
    pub fn represent_scored(&self, images: Tensor<4>) -> (GridTokens, Tensor<2>) {
        self.network.represent_scored(self.adapted(images))
    }

    /// The images as the network reads them.
    fn adapted(&self, images: Tensor<4>) -> Tensor<4> {
        if self.mean.is_empty() { images } else { normalize(images, &self.mean, &self.std) }
    }
}

impl Backbone for FrozenTeacher {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        self.network.represent(self.adapted(images))
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        self.network.represent_layers(self.adapted(images), layers)
    }

    fn represented_layers(&self) -> usize {
        self.network.represented_layers()
    }

    fn represent_mlps(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        self.network.represent_mlps(self.adapted(images), layers)
    }

    fn width(&self) -> usize {
        self.network.width()
    }

    fn describe(&self) -> String {
        self.network.describe()
    }

    fn layers(&self) -> usize {
        self.network.layers()
    }
}

#[cfg(feature = "run")]
mod fitted {
    use std::sync::Arc;

    use super::*;
    use crate::data::MimCollate;
    use crate::data::augment::Augmentation;
    use crate::error::Error;
    use crate::mask::MaskStrategy;
    use crate::method::mae::small_teacher;
    use crate::method::{DataFacts, Fitted, Run};

    impl TeacherConfig {
        /// Batches of images of a `student` under masks, with a view for the teacher, where it reads
        /// images of another size.
        pub(in crate::method) fn collate(
            &self,
            student: ImageShape,
            mask: Arc<dyn MaskStrategy>,
            augmentation: Augmentation,
            data: &DataFacts,
        ) -> Result<MimCollate> {
            let collate = MimCollate::new(student, &data.statistics, augmentation, mask)?;
            match self.network.image() {
                image if image == student => Ok(collate),
                image => {
                    collate.with_target_view(image, augmentation.interpolation, &data.statistics)
                }
            }
        }

        /// The `features` of the teacher with its weights: those in its folder, or of one that is
        /// trained first, in `teacher` in the run's folder, where none is given.
        ///
        /// # Errors
        ///
        /// When another network is in the folder, or it was trained with other statistics; when there
        /// is no folder, and the teacher is not one that is trained first; when its training was
        /// stopped.
        pub fn fitted_target(
            &self,
            features: FeatureConfig,
            run: &Run,
        ) -> Result<Fitted<FeatureTarget<FrozenTeacher>>> {
            let (image, first) = (self.network.image(), self.folder.is_none());
            let folder = match &self.folder {
                Some(folder) => folder.clone(),
                None if *self == Self::small_images(image) => small_teacher(run, image)?,
                None => {
                    return Err(Error::config(
                        "this teacher is not one that is trained first: give its folder \
                         (teacher.folder, --teacher)",
                    ));
                }
            };
            let network = self.load(&folder, run)?;
            let teacher = self.with_network(network, &run.data.statistics);
            let task = FeatureTarget::frozen(teacher, features);
            Ok(Fitted { task, resumed: first && run.resume })
        }
    }
}
