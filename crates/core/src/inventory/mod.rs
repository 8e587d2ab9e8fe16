//! From pulls to what is known: merging, absence, derived resources.
