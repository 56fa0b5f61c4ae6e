//! Renders every page.
