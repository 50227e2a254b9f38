"""What a build has to do, and why: `Graph + State + choice → Plan`; no effects."""
