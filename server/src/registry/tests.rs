//! Races, damage and the rules of the registry, on real files.
