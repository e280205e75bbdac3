//! Set-up, generators and checks of this repository.

fn main() {}
