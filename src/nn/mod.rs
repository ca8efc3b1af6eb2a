//! The layers burn-nn lacks: what vision transformers are made of.

mod antialias;
mod attention;
mod batch_norm;
mod block;
mod cast;
mod checkpointed;
mod continuous_position;
mod conv;
mod cosine_attention;
mod cross_attention;
mod depthwise;
mod dino_head;
mod drop_path;
mod follow;
mod fresh_ids;
mod gather;
mod init;
mod layer_scale;
mod mlp;
mod momentum;
mod norm;
mod parameters;
mod per_token;
mod position;
mod projection;
mod relative_position;
mod response_norm;
mod rotary;
mod table_resize;
mod trainable;
mod transformer;
mod unit;
mod windows;
mod windows_cache;

pub use attention::{Attention, AttentionConfig, KeysValues, QkvBias};
pub use batch_norm::{BatchNorm, Moments, NormsSeen, RunningNorm};
pub(crate) use block::scaled;
pub use block::{Block, BlockConfig};
pub use cast::cast_parameters;
pub use checkpointed::checkpointed;
pub use continuous_position::ContinuousPositionBias;
pub(crate) use conv::{
    convolve, convolve_by, convolve_rectified, convolve_scaled, convolve_transposed, group_norm,
};
pub use cosine_attention::CosineAttention;
pub(crate) use cross_attention::split_heads;
pub use cross_attention::{CrossAttention, CrossBlock, CrossBlockConfig};
pub use depthwise::DepthwiseConv;
pub use dino_head::DinoHead;
pub use drop_path::{DropPath, Dropped};
pub use follow::follow;
pub use fresh_ids::{teacher_of, with_fresh_ids};
pub(crate) use gather::Gather;
pub use init::{Init, InitialWeights};
pub use layer_scale::LayerScale;
pub use mlp::{Mlp, MlpActivation};
pub use momentum::Momentum;
pub(crate) use norm::check_norm_epsilon;
pub use norm::{Norm, NormKind};
#[cfg(any(feature = "train", test))]
pub(crate) use parameters::NamedParameter;
pub(crate) use parameters::named_parameters;
pub use per_token::per_token;
pub use position::{PositionResize, PositionTable, Positions, sequence_table, sin_cos_table};
pub use projection::{Projection, ProjectionLayer};
pub use relative_position::{RelativePositionBias, relative_position_index};
pub use response_norm::ResponseNorm;
pub use rotary::Rotations;
pub use table_resize::TableResize;
pub(crate) use table_resize::resize_offsets;
pub use trainable::trainable;
pub use transformer::{
    BiasSource, Places, ResidualInit, ScoreScale, TokenGrid, Transformer, TransformerCache,
    TransformerConfig,
};
pub(crate) use unit::unit;
pub use windows::Windows;
pub use windows_cache::WindowsCache;
