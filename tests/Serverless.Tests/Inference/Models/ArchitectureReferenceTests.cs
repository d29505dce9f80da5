using System.Text.Json;
using Serverless.Inference.Kernels;
using Serverless.Inference.Models;
using Shouldly;

namespace Serverless.Tests.Inference.Models;

/// <summary>
/// Tiny random models of every architecture against logits that transformers computed in F32: those of <c>shared/data/tiny-models</c> where there is that folder, in each
/// format they lie in, and those of <c>tests/data/tiny-models</c>.
/// </summary>
public sealed class ArchitectureReferenceTests(ITestOutputHelper output)
{
    private const double Allowed = 1e-3;

    /// <summary>The GGUF of this one does not carry the attention window, so that it is another model beyond 32 tokens.</summary>
    private const string WithoutWindow = "mistral-window/model.gguf";

    public static TheoryData<string> Models() => [.. Folders().SelectMany(folder => new[] { folder, Path.Combine(folder, "model.gguf") }).Where(path => Directory.Exists(path) || File.Exists(path)).DefaultIfEmpty("")];

    [Theory]
    [MemberData(nameof(Models))]
    public void Logits_are_those_of_transformers(string path)
    {
        Assert.SkipWhen(path.Length == 0, $"There are no tiny models in {Repository.Shared("data/tiny-models")}; set SERVERLESS_SHARED to the folder that holds data/tiny-models.");
        using var model = InferenceModel.Load(path, null, TestContext.Current.CancellationToken);
        using var oracle = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Directory.Exists(path) ? path : Path.GetDirectoryName(path)!, "expected.json")));
        var worst = 0.0;
        foreach (var sequence in oracle.RootElement.EnumerateArray())
        {
            int[] tokens = [.. sequence.GetProperty("tokens").EnumerateArray().Select(token => token.GetInt32())];
            foreach (var (threads, cut) in new[] { (1, tokens.Length), (3, 11) }) worst = Math.Max(worst, Distance(model, tokens, sequence.GetProperty("logits"), threads, cut, path.EndsWith(WithoutWindow, StringComparison.Ordinal)));
        }

        output.WriteLine($"{path}: at most {worst:E2} away");
        worst.ShouldBeLessThanOrEqualTo(Allowed);
    }

    private static double Distance(InferenceModel model, int[] tokens, JsonElement expected, int threads, int cut, bool isWithoutWindow)
    {
        using var pass = new ForwardPass(model, KernelSet.Available[0], threads, 256, 256, 256);
        using var pages = new KeyValuePool(model.Config, 256, KeyValueFormat.F32);
        var held = new List<KeyValuePage>();
        pages.TryGrow(held, tokens.Length).ShouldBeTrue();
        BatchRow[] rows = [.. tokens.Select((token, position) => new BatchRow(token, position, held, true))];
        var worst = 0.0;
        for (var first = 0; first < rows.Length; first += cut)
        {
            var part = rows.AsSpan(first, Math.Min(cut, rows.Length - first));
            pass.Run(part);
            foreach (var position in expected.EnumerateObject())
            {
                var at = int.Parse(position.Name, System.Globalization.CultureInfo.InvariantCulture);
                if (at < first || at >= first + part.Length || (isWithoutWindow && at >= 32)) continue;

                var logits = pass.Logits(at - first);
                foreach (var (id, logit) in position.Value.EnumerateArray().Index()) worst = Math.Max(worst, Math.Abs(logits[id] - logit.GetDouble()));
            }
        }

        return worst;
    }

    private static IEnumerable<string> Folders() => ((string[])[Path.Combine(Repository.Root, "tests", "data"), Repository.Shared("data")])
        .Select(folder => Path.Combine(folder, "tiny-models")).Where(Directory.Exists).SelectMany(Directory.EnumerateDirectories).Order(StringComparer.Ordinal);
}
