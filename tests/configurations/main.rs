//! Every configuration, as a file or a program may give it: what is refused, and what is not.

mod any_method;
mod files;
mod loss;
mod presets;
mod random;
mod sizes;
mod weights;
