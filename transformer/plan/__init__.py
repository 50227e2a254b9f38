"""What a build has to do, and why: `Graph + State + selection → Plan`; no effects."""
