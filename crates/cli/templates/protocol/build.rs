//! Generates the code of the services, without protoc.

fn main() -> Result<(), rpcplugin_build::BuildError> {
    rpcplugin_build::compile(&["proto/__snake__.proto"], &["proto"])
}
