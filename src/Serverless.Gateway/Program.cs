return await Serverless.Hosting.Distributed.DistributedHost.RunAsync(() => Serverless.Gateway.GatewayHost.BuildDistributed(args));
