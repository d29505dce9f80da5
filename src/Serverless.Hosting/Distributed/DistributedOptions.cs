using System.ComponentModel.DataAnnotations;
using System.Net;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Distributed;

/// <summary>What every process of the distributed shape is told. Where brokers and stores are is in their own sections: <c>RabbitMq</c>, <c>Redis</c>, <c>Dapr</c>, <c>Sessions</c>.</summary>
public sealed partial class DistributedOptions
{
    public const string Section = "Distributed";

    /// <summary>Where this process serves HTTP: its face, probes and metrics; daprd's app port. The host is an address of this machine; <c>0.0.0.0</c> and <c>[::]</c> are all of them. Default: <c>http://0.0.0.0:8080</c>.</summary>
    [Required]
    public Uri Http { get; set; } = new("http://0.0.0.0:8080");

    /// <summary>Folder of manifests that this process publishes to all others; one of the gateways at least has it. Default: none.</summary>
    public string? Manifests { get; set; }

    /// <summary>How long a process that was told to stop may take. Raising it delays roll-outs; lowering it cuts answers off. Default: 30 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(30);

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<DistributedOptions>;

    internal sealed class ValueValidator : IValidateOptions<DistributedOptions>
    {
        public ValidateOptionsResult Validate(string? name, DistributedOptions options)
        {
            List<string> faults = [];
            if (!options.Http.IsAbsoluteUri || options.Http.Scheme != Uri.UriSchemeHttp || !IPAddress.TryParse(options.Http.DnsSafeHost, out _))
                faults.Add($"{Section}:{nameof(Http)} is '{options.Http}'; it takes http://ADDRESS:PORT with an IP address of this machine, or 0.0.0.0 for all.");
            if (options.Manifests is { } folder && !Directory.Exists(folder))
                faults.Add($"{Section}:{nameof(Manifests)} is '{folder}', which is no folder.");
            return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
        }
    }
}
