return await Serverless.Hosting.Distributed.DistributedHost.RunAsync(() => Serverless.Worker.WorkerHost.BuildDistributed(args));
