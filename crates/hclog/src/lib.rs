//! hclog JSON records: a tracing layer that writes them and a total parser that reads them
