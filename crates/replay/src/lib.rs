//! Sessions over HTTP: player, log-in, jobs, verification, presets
