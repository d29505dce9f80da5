using CsCheck;
using Serverless.Catalog;
using Serverless.Scaler.Keda;
using Serverless.Scaler.Protos;
using Shouldly;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>What the metadata of a trigger may say.</summary>
public sealed class MetadataTests
{
    private static readonly Gen<ScaledObjectRef> References =
        from name in Gen.OneOf(Gen.Const("m-cpu"), Gen.String)
        from entries in Gen.Select(
            Gen.OneOf(Of("pool", "model", "flavor", "metricName", "heartbeatSeconds", "poolFromEnv", "modelFromEnv", "FromEnv", "scalerAddress", "enableTLS"), Gen.String),
            Gen.OneOf(Of("", "m-cpu", "m", "cpu", "5", "-1", "NaN", "1e9", "true"), Gen.String)).Array[0, 6]
        select Reference(name, entries);

    [Theory]
    [InlineData("m-cpu", "pool", "m-cpu")]
    [InlineData("m-cpu", "poolFromEnv", "m-cpu")]
    [InlineData("m-cpu", "model", "m", "flavor", "cpu")]
    [InlineData("m-cpu", "modelFromEnv", "m", "flavor", "cpu")]
    [InlineData("anything")]
    public void A_pool_is_named_in_each_of_these_ways(string expected, params string[] metadata)
    {
        List<string> faults = [];

        PoolReferenceParser.Parse(Reference("anything", Pairs(metadata)), faults).Pool.ShouldBe(new PoolName(expected));

        faults.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("metadata 'threshold' = '5' is not known", "threshold", "5")]
    [InlineData("metadata 'poolsFromEnv' = 'x' is not known", "poolsFromEnv", "x")]
    [InlineData("metadata 'pool' is empty", "pool", "")]
    [InlineData("metadata 'pool' is given twice", "pool", "a", "poolFromEnv", "b")]
    [InlineData("metadata 'pool' names the pool already", "pool", "a", "model", "m")]
    [InlineData("metadata 'model' needs 'flavor' beside it", "model", "m")]
    [InlineData("metadata 'flavor' needs 'model' beside it", "flavor", "cpu")]
    [InlineData("metadata 'metricName' = 'Desired' must be", "metricName", "Desired")]
    [InlineData("metadata 'heartbeatSeconds' = '0' must be a whole number from 1 to 60", "heartbeatSeconds", "0")]
    [InlineData("metadata 'heartbeatSeconds' = '1e1' must be", "heartbeatSeconds", "1e1")]
    public void A_fault_names_the_key_the_value_and_what_is_allowed(string expected, params string[] metadata)
    {
        List<string> faults = [];

        PoolReferenceParser.Parse(Reference("anything", Pairs(metadata)), faults);

        faults.ShouldContain(fault => fault.StartsWith(expected));
    }

    [Fact]
    public void All_faults_are_told_at_once()
    {
        List<string> faults = [];

        PoolReferenceParser.Parse(Reference("anything", Pairs(["threshold", "5", "heartbeatSeconds", "x", "metricName", "", "model", "m"])), faults);

        faults.Count.ShouldBe(4);
    }

    [Fact]
    public void Whatever_is_written_there_it_is_read_without_an_exception()
    {
        References.Sample(reference =>
        {
            List<string> faults = [];
            var parsed = PoolReferenceParser.Parse(reference, faults);
            return parsed.Pool.Value is not null && parsed.MetricName.Length > 0 && parsed.Heartbeat > TimeSpan.Zero && faults.TrueForAll(fault => fault.Length > 0);
        });
    }

    [Fact]
    public async Task Whatever_is_asked_a_handler_answers_or_names_what_is_wrong()
    {
        await using var host = await ScalerHost.StartAsync();
        await host.PlanAsync();
        await host.PlanAsync();

        await References.SampleAsync(async reference =>
        {
            foreach (var call in new Func<Task>[]
            {
                async () => await host.Client.IsActiveAsync(reference, cancellationToken: Token),
                async () => await host.Client.GetMetricSpecAsync(reference, cancellationToken: Token),
                async () => await host.Client.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = reference, MetricName = reference.Name }, cancellationToken: Token),
                async () => await host.Client.GetMetricsAsync(new GetMetricsRequest(), cancellationToken: Token),
                () => FirstAsync(reference),
            })
            {
                try
                {
                    await call();
                }
                catch (Grpc.Core.RpcException exception) when (exception.StatusCode is Grpc.Core.StatusCode.InvalidArgument or Grpc.Core.StatusCode.Unavailable)
                {
                    exception.Status.Detail.ShouldStartWith("ScaledObject ");
                }
            }
        }, iter: 100, threads: 1);

        async Task FirstAsync(ScaledObjectRef reference)
        {
            using var stream = host.Client.StreamMetricSpec(reference, cancellationToken: Token);
            await stream.ResponseStream.MoveNext(Token);
        }
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Gen<string> Of(params string[] values) => Gen.Int[0, values.Length - 1].Select(index => values[index]);

    private static IEnumerable<(string Key, string Value)> Pairs(string[] metadata) => metadata.Chunk(2).Select(pair => (pair[0], pair[1]));

    private static ScaledObjectRef Reference(string name, IEnumerable<(string Key, string Value)> metadata)
    {
        var reference = new ScaledObjectRef { Name = Sound(name), Namespace = "serverless" };
        foreach (var (key, value) in metadata) reference.ScalerMetadata[Sound(key)] = Sound(value);
        return reference;
    }

    /// <summary>What a proto string can carry: no half of a surrogate pair.</summary>
    private static string Sound(string text) => string.Concat(text.Where(character => !char.IsSurrogate(character)));
}
