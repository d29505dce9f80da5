using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;
using Serverless.Requests;

namespace Serverless.Worker.Local;

/// <summary>What a worker process runs.</summary>
public sealed partial class WorkerOptions
{
    public const string Section = "Worker";

    /// <summary>The pool that this process is a replica of, as the catalogue names it. Needed.</summary>
    [Required(ErrorMessage = "Worker:Pool is missing; name the pool that this worker is a replica of.")]
    public string Pool { get; set; } = "";

    /// <summary>How long what runs may go on after the process was told to stop; then it is given back, and another replica continues it. Default: 5 minutes.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Bytes of output that a replica keeps of one request, about, until its log is safe; a request that generates more ends with an error. Raising it costs memory: as much for every slot, at
    /// worst. Default: 32 MiB, as much as a log keeps.
    /// </summary>
    [Range(64 * 1024, 1L << 40)]
    public long MaxOutputBytes { get; set; } = LogLimits.MaxOutputBytes;

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<WorkerOptions>;
}
