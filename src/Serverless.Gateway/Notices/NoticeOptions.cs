using Microsoft.Extensions.Options;
using Serverless.Gateway.Inbound;

namespace Serverless.Gateway.Notices;

/// <summary>What the platform tells of itself as events, and where. Off until a topic is named.</summary>
public sealed class NoticeOptions
{
    public const string Section = "Gateway:Notices";

    /// <summary>The topic on which the end of each batch is told. Default: none.</summary>
    public string? BatchTopic { get; set; }

    /// <summary>The topic on which it is told what becomes of a pool: from zero, to zero, at its limit, without room. Default: none.</summary>
    public string? CapacityTopic { get; set; }

    internal sealed class Validator(IOptions<EventOptions> events) : IValidateOptions<NoticeOptions>
    {
        public ValidateOptionsResult Validate(string? name, NoticeOptions options)
        {
            ArgumentNullException.ThrowIfNull(options);
            string?[] faults = [Fault(nameof(BatchTopic), options.BatchTopic), Fault(nameof(CapacityTopic), options.CapacityTopic)];
            return faults.OfType<string>().ToArray() is { Length: > 0 } all ? ValidateOptionsResult.Fail(all) : ValidateOptionsResult.Success;
        }

        private string? Fault(string setting, string? topic)
        {
            if (string.IsNullOrEmpty(topic)) return null;
            if (EventOptions.FaultOf(topic) is { } fault) return $"{Section}:{setting} is '{topic}'{fault}";
            return events.Value.AllTopics.Contains(topic, StringComparer.Ordinal) ? $"{Section}:{setting} is '{topic}', whose events are requests: what is told there would be asked for. Take another topic." : null;
        }
    }
}
