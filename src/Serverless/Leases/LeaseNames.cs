using Serverless.Catalog;

namespace Serverless.Leases;

/// <summary>Names of the leases there are.</summary>
public static class LeaseNames
{
    /// <summary>Prefix of all gateways' own leases.</summary>
    public const string Gateways = "gateway/";

    /// <summary>The right to write the plan that all scalers serve. Holder: the scaler's instance name.</summary>
    public const string Planner = "planner";

    /// <summary>A gateway's own: it lives, and so holds the requests of its connections. Holder: the address of its sessions.</summary>
    public static string Gateway(string instance) => Gateways + instance;

    /// <summary>The right to sweep the store of files. Holder: the gateway's instance name.</summary>
    public const string FileSweep = "file-sweep";

    /// <summary>The right to sweep what batches left in the store of files. Holder: the gateway's instance name.</summary>
    public const string BatchSweep = "batch-sweep";

    /// <summary>Prefix of the leases of all batches that run.</summary>
    public const string Batches = "batch/";

    /// <summary>The right to run a batch. Holder: the gateway's instance name.</summary>
    public static string Batch(string id) => Batches + id;

    /// <summary>Prefix of the leases of all dispatched models.</summary>
    public const string Dispatchers = "dispatcher/";

    /// <summary>The right to dispatch a model. Holder: the address its workers connect to.</summary>
    public static string Dispatcher(ModelName model) => Dispatchers + model.Value;
}
