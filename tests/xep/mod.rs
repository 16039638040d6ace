//! Stories of the extensions, one file each, named as the extension's own file is.

mod carbons;
