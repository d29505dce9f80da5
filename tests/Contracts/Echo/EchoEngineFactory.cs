using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Engines;

namespace Serverless.Tests.Contracts.Echo;

/// <summary>What docs say an engine is: this folder, and one line (<c>AddEngine&lt;EchoEngineFactory&gt;()</c>).</summary>
internal sealed class EchoEngineFactory : IEngineFactory
{
    private static readonly FlavorParam Slots = new("slots", 1, 64, Whole: true, "requests at once") { Default = 4 };
    private static readonly FlavorParam Times = new("times", 1, 1000, Whole: true, "how often the prompt is said") { Default = 1 };
    private static readonly FlavorParam Voice = new("voice", null, null, Whole: false, "how it is said") { Choices = ["loud", "plain"], Chosen = "plain" };
    private static readonly FlavorParam KvTokens = new(FlavorParam.KvTokens, 64, 1 << 20, Whole: true, "tokens it holds") { Default = 4096 };

    public EngineDescriptor Descriptor { get; } = new()
    {
        Name = "echo",
        Params = [Slots, Times, Voice, KvTokens],
        Scheme = "echo",
        DefaultFlavor = "cave",
        FirstLoad = static (flavor, _) => TimeSpan.FromSeconds(Times.ReadOrDefault(flavor.Params)),
    };

    public Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var given = new FlavorParams(pool, Descriptor);
        progress.Report(1);
        return Task.FromResult<IEngine>(new EchoEngine(given.Integer(Slots), given.Integer(KvTokens), given.Integer(Times), given.Text(Voice) == "loud"));
    }
}
