//! A static Rust program that does nothing: what no program of ours can go below.

fn main() {}
