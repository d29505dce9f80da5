using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;
using Serverless.Requests;

namespace Serverless.Hosting.MassTransit;

/// <summary>Inference for other .NET services, by messages of <c>Serverless.Contracts</c> over MassTransit. All gateways are told the same.</summary>
public sealed partial class MassTransitOptions
{
    public const string Section = "MassTransit";

    public const string RabbitMq = "rabbitmq";
    public const string InMemory = "in-memory";

    /// <summary>Whether messages are taken. Default: off.</summary>
    public bool Enabled { get; set; }

    /// <summary>What carries them: <c>rabbitmq</c>, or <c>in-memory</c>, within this process. Default: in-memory where everything runs in one process, else rabbitmq.</summary>
    public string? Transport { get; set; }

    /// <summary>The broker: <c>amqp://user:password@host:5672/vhost</c>, <c>amqps://</c> for TLS. Default: that of the request queue (<c>RabbitMq:Url</c>).</summary>
    public Uri? Url { get; set; }

    /// <summary>The queue of what is asked; its name with <c>-cancel</c> and <c>-streams</c> are the others, with <c>_error</c> what was refused. Default: serverless-inference.</summary>
    [Required, RegularExpression("[a-zA-Z0-9_.-]{1,64}", ErrorMessage = "MassTransit:Queue takes 1 to 64 letters, digits, dots, dashes and underscores.")]
    public string Queue { get; set; } = "serverless-inference";

    /// <summary>Whether the queues are quorum queues: on the disks of most of a cluster. One that is there is not changed, so this is decided before the first start. Default: on.</summary>
    public bool QuorumQueues { get; set; } = true;

    /// <summary>
    /// Messages that the broker hands this gateway before it has answered the first. So many of the longest bodies must fit a quarter of <c>Gateway:Admission:MaxTotalBytes</c>, for one
    /// that is read is held about four times. Default: 8.
    /// </summary>
    [Range(1, 1024)]
    public int Prefetch { get; set; } = 8;

    /// <summary>Of those, how many are worked on at once. Default: 8.</summary>
    [Range(1, 1024)]
    public int Concurrency { get; set; } = 8;

    /// <summary>Streams of deltas that this gateway sends at once; more wait in the broker. Default: 256.</summary>
    [Range(1, 65535)]
    public int MaxStreams { get; set; } = 256;

    /// <summary>How long a message that finds no room (a full queue, a store that is away) is tried, before its sender is told so and it goes to <c>_error</c>. Default: 10 minutes.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan RetryFor { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long such a message is held, unacknowledged, before it goes to the end of its queue. Raising it holds up those behind it. Default: 1 second.</summary>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:05:00")]
    public TimeSpan RetryPause { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>A longer result is sent without its body and can be asked for by its id. Must be less than the broker takes. Default: 8 MiB.</summary>
    [Range(1024, 512 * 1024 * 1024)]
    public int MaxResultBytes { get; set; } = 8 * 1024 * 1024;

    /// <summary>Organization of all that is asked by messages: services on the bus are trusted as one tenant. Default: <c>local</c>.</summary>
    [Required, RegularExpression("[A-Za-z0-9._-]{1,64}")]
    public string Organization { get; set; } = "local";

    /// <summary>Team of them: keys of this team see them. Default: <c>local</c>.</summary>
    [Required, RegularExpression("[A-Za-z0-9._-]{1,64}")]
    public string Team { get; set; } = "local";

    /// <summary>The highest lane that a message may ask for: <c>realtime</c>, <c>interactive</c> or <c>batch</c>. Default: interactive.</summary>
    [Required]
    public string HighestLane { get; set; } = "interactive";

    /// <summary>The queue of what cancels.</summary>
    internal string CancelQueue => Queue + "-cancel";

    /// <summary>The queue of streams of deltas that are to be sent.</summary>
    internal string StreamQueue => Queue + "-streams";

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<MassTransitOptions>;

    /// <summary>What annotations cannot say.</summary>
    internal sealed class ValueValidator : IValidateOptions<MassTransitOptions>
    {
        public ValidateOptionsResult Validate(string? name, MassTransitOptions options)
        {
            List<string> faults = [];
            if (options.Transport is not (null or RabbitMq or InMemory)) faults.Add($"{Section}:{nameof(Transport)} is '{options.Transport}'; it takes '{RabbitMq}' or '{InMemory}'. Leave it out for what this process has.");
            if (!Lanes.TryParse(options.HighestLane, out _)) faults.Add($"{Section}:{nameof(HighestLane)} is '{options.HighestLane}'; it takes realtime, interactive or batch.");
            if (options.Url is { } url && (!url.IsAbsoluteUri || url.Scheme is not ("amqp" or "amqps"))) faults.Add($"{Section}:{nameof(Url)} is no address of a broker; it takes amqp://USER:PASSWORD@HOST:PORT/VHOST, or amqps:// for TLS.");
            if (options.Concurrency > options.Prefetch) faults.Add($"{Section}:{nameof(Concurrency)} is {options.Concurrency}; it must be at most {Section}:{nameof(Prefetch)}, {options.Prefetch}, or the rest is never used. Lower it, or raise the other.");
            return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
        }
    }
}
