//! Builders and oracle runners for tests
