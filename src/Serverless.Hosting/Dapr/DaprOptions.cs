using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;
using Serverless.Requests;

namespace Serverless.Hosting.Dapr;

/// <summary>How this process uses its Dapr sidecar. The sidecar's address and token are Dapr's own settings: <c>DAPR_GRPC_PORT</c>, <c>DAPR_GRPC_ENDPOINT</c>, <c>DAPR_API_TOKEN</c>.</summary>
public sealed partial class DaprOptions
{
    public const string Section = "Dapr";

    /// <summary>Name of the state component that keeps documents. Default: <see cref="DaprNames.StateStore"/>.</summary>
    [Required]
    public string StateStore { get; set; } = DaprNames.StateStore;

    /// <summary>Name of the pub/sub component that carries events. Default: <see cref="DaprNames.PubSub"/>.</summary>
    [Required]
    public string PubSub { get; set; } = DaprNames.PubSub;

    /// <summary>Name of the secret store. Default: <see cref="DaprNames.SecretStore"/>.</summary>
    [Required]
    public string SecretStore { get; set; } = DaprNames.SecretStore;

    /// <summary>After this long without an answer the sidecar counts as unreachable. Raising it keeps clients waiting for what will be refused. Default: 5 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Largest document and event, in bytes; <c>maxBodySize</c> of <c>dapr.yaml</c> must allow as much. Default: 16 MiB.</summary>
    [Range(64 * 1024, 256 * 1024 * 1024)]
    public int MaxMessageBytes { get; set; } = 16 * 1024 * 1024;

    /// <summary>
    /// Whether other apps may post events here by service invocation too. Off, only what the sidecar delivers from the broker is taken: daprd gives its token with both. Whoever may then
    /// invoke this app asks for requests as <c>Gateway:Events:Organization</c>. Default: no.
    /// </summary>
    public bool AllowInvokedEvents { get; set; }

    /// <summary>Bytes of an event as it is delivered at most: its data may be bytes, which JSON has in base 64, and an envelope is around them.</summary>
    internal long LongestEvent() => (MaxMessageBytes / 3 * 4L) + (64 * 1024);

    /// <summary>What must hold between this and the bytes of bodies that the process holds.</summary>
    internal sealed class RoomValidator(ByteBudget? budget = null) : IValidateOptions<DaprOptions>
    {
        public ValidateOptionsResult Validate(string? name, DaprOptions options) => budget is null || options.LongestEvent() <= budget.Limit / 2
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail($"{Section}:{nameof(MaxMessageBytes)} is {options.MaxMessageBytes}: an event of that size is delivered in up to {options.LongestEvent()} bytes, and Gateway:Admission:MaxTotalBytes, {budget.Limit}, has room for half of itself at most. Raise that to {2 * options.LongestEvent()}, or lower {nameof(MaxMessageBytes)}.");
    }

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<DaprOptions>;
}
