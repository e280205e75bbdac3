//! What was promised and what arrived: append-only records and the verdict
