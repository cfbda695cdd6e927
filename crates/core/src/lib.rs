//! The words both sides of rpcplugin share: versions, endpoint, magic cookie, service ids
