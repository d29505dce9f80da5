using System.Text.Json;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Records;

/// <summary>What version 1 wrote is read by the present release. A record that changes so that its old bytes read otherwise fails here before it fails in a roll-out.</summary>
public sealed class GoldenRecordsTests
{
    private static readonly Dictionary<string, byte[]> Golden = File.ReadAllLines(Path.Combine(Repository.Root, "tests/Serverless.Tests/Records/version-1.txt"))
        .Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split(": ", 2)).ToDictionary(pair => pair[0], pair => Convert.FromBase64String(pair[1]), StringComparer.Ordinal);

    private static readonly JsonSerializerOptions Options = new() { IncludeFields = true };

    public static TheoryData<string> Names => [.. Version1.Samples.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void What_version_1_wrote_reads_as_it_was_meant(string name)
    {
        var sample = Version1.Samples[name];
        Golden.ShouldContainKey(name, $"no bytes of it; as written now: {Convert.ToBase64String(sample.Write(sample.Value))}");

        Show(sample.Read(Golden[name])).ShouldBe(Show(sample.Value));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void What_the_present_release_writes_it_reads_itself(string name)
    {
        var sample = Version1.Samples[name];

        Show(sample.Read(sample.Write(sample.Value))).ShouldBe(Show(sample.Value));
    }

    [Fact]
    public void Nothing_that_version_1_wrote_is_forgotten() => Golden.Keys.ShouldBe(Version1.Samples.Keys, ignoreOrder: true);

    [Fact]
    public void Every_kind_of_event_and_message_has_its_bytes()
    {
        var kinds = Version1.Samples.Values.Select(sample => sample.Value.GetType()).ToHashSet();

        foreach (var kind in Kinds<RequestEvent>().Where(kind => kind != typeof(RequestEvent.Unknown)).Concat(Kinds<WorkerMessage>()).Concat(Kinds<DispatcherMessage>().Where(kind => kind != typeof(DispatcherMessage.Unreadable)))) kinds.ShouldContain(kind);
    }

    private static IEnumerable<Type> Kinds<T>() => typeof(T).GetNestedTypes().Where(type => type.IsSubclassOf(typeof(T)));

    private static string Show(object value) => $"{value.GetType().Name} {JsonSerializer.Serialize(value, Options)}";
}
