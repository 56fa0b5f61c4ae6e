//! Compiles the gRPC contract, and embeds the migrations anew when one of them changes.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../migrations");
    println!("cargo::rerun-if-changed=proto");
    let contract = protox::compile(["core.proto", "stock.proto", "payment.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(contract)?;
    Ok(())
}
