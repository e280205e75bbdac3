//! Python source: which lines could run, and the symbols that own them
