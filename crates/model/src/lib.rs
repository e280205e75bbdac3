//! The types that every room of playtrace speaks
