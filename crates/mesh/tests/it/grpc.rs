//! Services of gRPC: a real one by grpcio, and servers that break the rules.

mod faults;
mod peer;
