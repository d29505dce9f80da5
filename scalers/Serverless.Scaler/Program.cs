return await Serverless.Hosting.Distributed.DistributedHost.RunAsync(() => Serverless.Scaler.ScalerHost.Build(args));
