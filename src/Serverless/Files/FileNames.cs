using System.Security.Cryptography;
using Serverless.Requests;

namespace Serverless.Files;

/// <summary>
/// Names of files' bytes: <c>id~nonce~organization~team</c>. Each put has a name of its own, so what a file names never changes; and a name tells which document must know of it, so whoever
/// finds bytes finds out whether they are a file's.
/// </summary>
internal static class FileNames
{
    /// <summary>The room of files in the store.</summary>
    public const string Room = "files";

    private const char Between = '~';

    public static FileKey New(Owner owner, FileId id) =>
        new(Room, string.Join(Between, id.Value, RandomNumberGenerator.GetHexString(16, lowercase: true), owner.Organization, owner.Team));

    /// <summary>Whose, and of which file. False: the name is none of these.</summary>
    public static bool TryParse(string name, out Owner owner, out FileId id)
    {
        (owner, id) = (Owner.Local, default);
        if (name.Split(Between) is not [var file, { Length: 16 }, { Length: > 0 } organization, { Length: > 0 } team] || !FileId.TryParse(file, out id)) return false;

        owner = new Owner(organization, team, "");
        return true;
    }
}
