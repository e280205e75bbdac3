//! Which lines did this context see: masks, arming policy, flush policy
