using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Engines;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Sessions;
using Serverless.Worker.Sessions;

namespace Serverless.Worker.Local;

/// <summary>What every replica of this process works with.</summary>
internal sealed record ReplicaParts(
    EngineCatalog Engines, IModelStore Models, IDispatcherConnector Connector, IRequestLog Log, WorkerMetrics Metrics, ILoopObserver Loops, IOptions<WorkerOptions> Options, TimeProvider Time, ILoggerFactory Loggers);
