//! Executed lines against source: results, matrix, gaps
