//! Sources of images, one kind in each file. Each opens as an
//! [`ImageData`](crate::data::ImageData).

mod archive;
mod budget;
mod cache;
pub mod cifar;
mod cifar_classes;
mod class_folders;
pub mod clips;
mod decode;
mod depth;
mod download;
pub mod folder;
pub mod idx;
mod jpeg;
mod layout;
mod list;
mod mask;
mod memory;
mod moving_shapes;
mod noun;
mod npy;
mod planes;
mod regular;
mod remote_archive;
mod shapes;
pub mod shards;
mod split_name;
#[cfg(test)]
mod test_server;
mod tiff;
mod walk;

pub use decode::read_image;
pub use folder::FolderDataset;
pub use list::ImageList;
pub use mask::read_label_map;
pub use memory::MemoryDataset;
pub use moving_shapes::MovingShapes;
pub use shapes::Shapes;
pub use shards::TarDataset;
#[cfg(feature = "parquet")]
pub use shards::parquet::ParquetDataset;
