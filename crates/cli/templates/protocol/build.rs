//! Generates the code of the services. There is no need for protoc.

fn main() -> Result<(), rpcplugin_build::BuildError> {
    rpcplugin_build::compile(&["proto/__snake__.proto"], &["proto"])
}
